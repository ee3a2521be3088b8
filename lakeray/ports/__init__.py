"""What the core needs of the world: small protocols. Adapters provide them; tests provide an in-memory lake."""
