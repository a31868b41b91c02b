"""What detectors of queues, drops and pauses share: lossless ports, their curves, and who waits for whom."""
