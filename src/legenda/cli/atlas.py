"""`legenda atlas info | search | rename | verify | gc | merge | export | import`."""

from cyclopts import App

from legenda.cli.atlas_change import gc, merge, rename
from legenda.cli.atlas_exchange import export, import_
from legenda.cli.atlas_look import info, search, verify

atlas = App(name="atlas", help="Look after an atlas: search, names, health, merging, exchange.")
for command in (info, search, rename, verify, gc, merge, export):
    atlas.command(command)
atlas.command(import_, name="import")
