"""How good it is, measured on logs: predict, score, then learn."""
