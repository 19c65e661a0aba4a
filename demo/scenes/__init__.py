"""Scenes of an outage, each told unattended in one Home Assistant: outage, flap, storm, drill."""

from demo.scenes.stage import SCENE_PACE, Stage, delays

__all__ = ["SCENE_PACE", "Stage", "delays"]
