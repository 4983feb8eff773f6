"""Load: scenarios, inputs, the client, and the load generator that sends the requests."""
