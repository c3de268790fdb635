"""Between the engine and the sinks: what is kept until it was delivered, and what was not and why.

`queue.py` is what the pipeline and the sinks see. Behind it, `ring.py` is memory and `spool.py` is disk: generations
(`generation.py`) of segments (`segment.py`) of batches (`batch.py`). `cursor.py` is how far a sink is.
"""
