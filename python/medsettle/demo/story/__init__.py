"""The story, chapter by chapter.

Owns the order of the chapters and what has to stand before the first one.
"""

import os
from contextlib import ExitStack

from medsettle.demo import world
from medsettle.demo.agency import Agency
from medsettle.demo.hospital import Hospital
from medsettle.demo.hub_process import HubProcess
from medsettle.demo.scratch import Scratch
from medsettle.demo.story import cards, closing, corrections, filing, opening, outage, theft, treatment
from medsettle.demo.story.stage import Stage
from medsettle.demo.tell import Teller


def play(tell: Teller, scratch: Scratch, hub: HubProcess) -> None:
    """Play everything; what is not as it should be is a failed check of the teller or an exception."""
    with ExitStack() as ending:
        opening.start(tell, hub)
        agency = ending.enter_context(Agency(scratch, hub.target))
        read_end, write_end = os.pipe()
        ending.callback(os.close, read_end)
        ending.callback(os.close, write_end)
        places = {
            place: ending.enter_context(
                Hospital(place, hub.target, scratch.client_tls(place.code, place.role), write_end)
            )
            for place in (*world.HOSPITALS, world.SHOP)
        }
        hospitals = {place.province: places[place] for place in world.HOSPITALS}
        patients = opening.people(tell, agency, hospitals)
        shop = places[world.SHOP]
        agency.register(shop.place)
        stage = Stage(tell, scratch, hub, agency, hospitals, shop, patients, world.today(), read_end)
        first = treatment.treated_elsewhere(stage)
        treatment.recorded_bill(stage)
        filing.late_filings(stage, first)
        corrections.charges_corrected(stage)
        corrections.settled_again(stage, first)
        cards.lost_card(stage)
        theft.stolen_card(stage)
        outage.lost_reply(stage)
        outage.killed_hub(stage)
        closing.books_agree(stage)
