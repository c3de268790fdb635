"""Brokers for the tests: librdkafka's own mock cluster, and Apache Kafka."""
