"""Tables in text files, as people have them: CSV, semicolons or tabs, plain or gzipped.

`table_file`: cells of a file, record by record. `columns`: what the columns are. `numbers`: cells
as numbers. `labels`: the label column. `rows`: blocks of records as numbers and labels.
`missing`: what stands for a missing cell. `split`: which rows are held out.
`streaming.sources.csv` puts them together.
"""
