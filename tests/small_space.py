"""A space of two groups whose networks take no time, and an architecture of it as AUTOX3D.GROUPS has it."""

SPACE = """
name: tiny
stem: {channels: 4}
head: {channels: 8, hidden: 8}
groups:
  - {channels: [4, 8], kernels: [[1, 3]], expansions: [1.5, 3.0], attentions: [none], blocks: 1, stride: 2}
  - {channels: [8], kernels: [[3, 3]], expansions: [1.5], attentions: [none, glore], blocks: 1, stride: 2}
"""
GROUPS = [[[1, 3], 8, 3.0, "none"], [[3, 3], 8, 1.5, "none"]]
