"""The page of ``dendrostream live``: a run in a browser on the same machine.

Open `ring` first: what is shown, in a buffer of bounded size. `watching` fills it from a run, in
the thread that learns; `folder` fills it from the files of a run. `control` carries out what the
person at the page asks for, between two chunks of samples. `server` serves the page, `page` keeps
it up to date, `panels` and `pictures` are its parts. The page only reads the buffer, so learning
never waits for a browser.
"""
