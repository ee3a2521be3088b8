"""What statistics and catalog have in common."""
