"""One file for each outage: what is done, what is demanded, what was measured."""
