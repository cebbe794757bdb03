"""From bytes to columns: schema, decoding, mapping of foreign logs, hygiene."""
