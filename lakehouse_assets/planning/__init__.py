"""What is pending, why, and which runs to start."""
