"""The hub: a small MQTT broker for demos and tests, which can misbehave on purpose. Not for a real network.

What it does NOT do: QoS 2, shared subscriptions, TLS, access lists, anything on disk. Use mosquitto for real work; the
tests run against both.
"""
