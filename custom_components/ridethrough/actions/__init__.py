"""The actions, by topic. ``frame`` is what they share; ``services`` registers them all."""
