"""What the demo's numbers are recomputed by: code that knows neither the engine nor the hub."""
