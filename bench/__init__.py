"""How fast Folkmoot is on this machine: `./run bench`."""
