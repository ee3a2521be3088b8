"""One module or package per outside system. Adapters know the values and the ports, never the verbs."""
