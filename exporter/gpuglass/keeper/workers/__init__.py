"""Workers that push: who they are, and the door that lets each in as itself alone."""
