"""The load tester behind `medsettle bench`: what it sends, how it measures, and the proof that it counted right.

Invariant: what a hub is asked is ready before any clock starts, so that the generator is not what is measured.
Invariant: in the open loop a latency begins when the call was meant to be made, however late it could be made.
Leaves out the command's options: cli/bench.py. How to read the figures stands in the README beside this file.
"""
