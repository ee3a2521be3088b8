"""Bad input, leaked secrets, and a long life: what must not hurt."""
