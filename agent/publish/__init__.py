"""The way to the shared picture: wire codec, outbox, MQTT client, and the receiving end."""
