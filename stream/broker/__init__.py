"""The border to Kafka: one interface; Kafka, memory, and an embedded Apache Kafka behind it."""
