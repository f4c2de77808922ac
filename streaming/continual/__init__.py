"""All rules on streams that drift: ``dendrostream drift``. Open `comparing` first.

`streams` has the streams, `comparing` runs the rules on them, `figures` and `page` show the result.
"""
