"""Traffic: scenarios, inputs, the client, and the generator that drives it."""
