"""Tables in text files: cells separated by commas, semicolons or tabs, plain or gzipped.

Open `table_file` first, which reads the cells of a file record by record. `header` reads the names
of the columns, `columns` chooses the label and the features; `left_out` recognises indices and
times. `numbers` parses cells as numbers, `labels` parses the label column. `rows` makes chunks of
numbers and labels out of records, `plain` quickly of the simple ones. `split` holds rows out.
`streaming.sources.csv` makes a source of them.
"""
