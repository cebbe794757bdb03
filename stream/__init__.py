"""Shoal's library: from behaviour events to clusters and recommendation lists, without a word of Kafka.

``pipeline.py`` reads from top to bottom in the order in which an event travels; ``broker/`` is the border to Kafka.
"""
