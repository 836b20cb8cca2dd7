"""Every row of the conformance table as a dialogue: see README.md."""
