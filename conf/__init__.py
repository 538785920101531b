"""Config groups and presets of sleap_lab, which Hydra finds as `pkg://sleap_lab.conf`."""
