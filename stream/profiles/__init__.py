"""What is kept per user: the row and its bytes, the table of them, and how events change it."""
