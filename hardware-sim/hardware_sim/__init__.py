"""A coast in software: vessels, sea, and the devices of a sensor box speaking their own protocols.

Promises:
- everything is written from the protocols' documents; nothing of the agent is imported, so that a mistake shared by
  both sides cannot cancel itself;
- where the vessels are is a pure function of (scenario, time), what the sensors make of it of (scenario, seed, time);
- traffic goes to 127.0.0.1 and pseudo-terminals only, and no process outlives the run.
"""
