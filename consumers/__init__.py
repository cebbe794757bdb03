"""Programs that read from Kafka: the worker, the learner's role, the command line."""
