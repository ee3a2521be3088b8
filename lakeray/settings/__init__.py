"""Settings as frozen values, their checked conversion, and what follows from them for each stream."""
