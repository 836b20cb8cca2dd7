"""What an operator types about aliases."""
