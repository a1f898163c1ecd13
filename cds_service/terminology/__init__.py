"""Value sets, concept maps and code systems: everything the service knows about codes, without a terminology
server.

Files are read once, at load. A file of the wrong shape raises AuthoringError naming it; at run time nothing
here fails: an unknown system or code is simply in no set.
"""
