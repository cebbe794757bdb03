"""What is counted of items, which candidates come of it, how they are weighed, and how a list is written."""
