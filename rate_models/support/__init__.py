"""What all rooms need: names looked up, arguments and numbers checked, memory estimated.

Open `lookup` first: how a name becomes the rule, source, circuit or paper of that name.
"""
