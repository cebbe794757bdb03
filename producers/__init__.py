"""Programs that write to Kafka: replay of historical logs, the generated log, the catalogue loader."""
