"""``shoal demo``: a broker, a catalogue, a log, a worker, and a screen that shows what comes out."""
