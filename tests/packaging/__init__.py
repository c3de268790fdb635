"""Tests of what is packaged: what stands in the packages, and what they do on a machine that has nothing else."""
