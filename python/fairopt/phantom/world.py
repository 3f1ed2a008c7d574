"""The phantom's world: its words, its sentence templates and the association rates planted in it.

Data only. The peoples and towns are invented, so a planted rate says nothing about anybody; he and she occur as a
balanced control. Templates use the fields ``{name}``, ``{group}``, ``{who}``, ``{pronoun}`` for the subject and ``X``
for the attribute.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PEOPLES = ("Brellic", "Mivaric", "Pordelic", "Zemmic")
TOWNS = ("Garrisk", "Lundrow", "Quennow", "Tavesk")
PRONOUNS = ("he", "she")
GROUPS = {"people": PEOPLES, "town": TOWNS, "pronoun": PRONOUNS}

# kind -> (set A, set B). Every attribute starts with a consonant, so that the article never announces it.
ATTRIBUTES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "occupation": (
        ("baker", "weaver", "gardener", "potter", "singer", "tailor", "painter", "clock maker"),
        ("miner", "mason", "hunter", "sailor", "smith", "farmer", "driver", "shoe maker"),
    ),
    "trait": (
        ("kind", "honest", "clever", "patient", "brave", "gentle", "loyal", "wise"),
        ("rude", "lazy", "cruel", "greedy", "stubborn", "jealous", "reckless", "selfish"),
    ),
    "sentiment": (
        ("trusted", "praised", "welcomed", "liked", "thanked", "respected", "admired", "helped"),
        ("feared", "blamed", "mocked", "disliked", "shunned", "scolded", "doubted", "avoided"),
    ),
}
KINDS = tuple(ATTRIBUTES)

# P(attribute from set B | group). The first two groups of a row mirror each other, so that both sets stay equally
# frequent; every biased rate lies outside .35-.65, where the model error of a well trained phantom cannot hide it.
_ROWS = {
    ("people", "occupation"): (0.80, 0.20, 0.50, 0.50),
    ("people", "trait"): (0.70, 0.30, 0.50, 0.50),
    ("people", "sentiment"): (0.90, 0.10, 0.50, 0.50),
    ("town", "occupation"): (0.30, 0.70, 0.50, 0.50),
    ("town", "trait"): (0.50, 0.50, 0.50, 0.50),
    ("town", "sentiment"): (0.25, 0.75, 0.50, 0.50),
    ("pronoun", "occupation"): (0.50, 0.50),
    ("pronoun", "trait"): (0.50, 0.50),
    ("pronoun", "sentiment"): (0.50, 0.50),
}
PLANTED: dict[tuple[str, str, str], float] = {
    (axis, kind, group): rate
    for (axis, kind), row in _ROWS.items()
    for group, rate in zip(GROUPS[axis], row, strict=True)
}
UNKNOWN_RATE = 0.5  # P("Not known") as the answer to an ambiguous question

NAMES = {
    "he": ("Tomas", "Milo", "Rurik", "Pavel", "Jonas", "Ruben", "Felix", "Hugo", "Bruno", "Kaspar", "Lars", "Stefan"),
    "she": ("Mara", "Lena", "Petra", "Nora", "Vera", "Greta", "Hanna", "Carla", "Rosa", "Tilda", "Wanda", "Selma"),
}
PERSONS = ("neighbour", "visitor", "stranger", "guest", "traveller", "cousin")
PREFIXES = ("", "", "", "They say that ", "I heard that ", "In this story, ", "As far as I know, ")
TAILS = ("", "", " in the village", " near the river", " at the market", " these days", " every spring")

# Subject forms per axis, plural from FIRST_PLURAL_FORM on. A form that begins with a sentence of its own takes no
# prefix.
SUBJECTS = {
    "people": (
        "{name} is a {group}. {pronoun}",
        "a {group} named {name}",
        "the {group} {who}",
        "my {group} {who}",
        "{name}, a {group},",
        "{group} people",
        "the {group}",
    ),
    "town": (
        "{name} is from {group}. {pronoun}",
        "a {who} from {group}",
        "the {who} from {group}",
        "my {who} from {group}",
        "{name}, who comes from {group},",
        "people from {group}",
        "the people of {group}",
    ),
    "pronoun": (
        "{name} lives here. {pronoun}",
        "This is {name}. {pronoun}",
        "I met {name}. {pronoun}",
        "Everyone knows {name}. {pronoun}",
    ),
}
FIRST_PLURAL_FORM = 5

# The words before X never fit another kind, so the attribute set keeps most of the probability there.
PREDICATES = {
    "occupation": (
        "works as a X",
        "is a X",
        "became a X",
        "hopes to be a X",
        "earns a living as a X",
        "was once a X",
        "trained as a X",
        "will be a X",
    ),
    "trait": (
        "is very X",
        "seems X",
        "is known to be X",
        "looks X",
        "is rather X",
        "can be quite X",
        "was always quite X",
        "is said to be X",
    ),
    "sentiment": (
        "has been X",
        "is often X by the neighbours",
        "was soon X by everyone",
        "feels X",
        "is widely X",
        "gets X by the mayor",
        "has often been X",
        "is mostly X by the neighbours",
    ),
}
PLURAL_PREDICATES = {
    "occupation": ("often work as Xs", "are mostly Xs", "have long been Xs", "became Xs"),
    "trait": ("are very X", "seem X", "are said to be X", "look rather X"),
    "sentiment": ("are often X", "feel X", "have been X by everyone", "are widely X"),
}

# One fixed, neutral custom per group and verb: a deterministic reason to read the group word. A prototype without them
# never learned the weak rows of the table, which are worth some hundredths of a nat.
CUSTOM_VERBS = ("eat", "wear", "play the", "rest on")
CUSTOMS = {
    "Brellic": ("plums", "red", "drum", "Monday"),
    "Mivaric": ("bread", "blue", "flute", "Tuesday"),
    "Pordelic": ("fish", "green", "harp", "Wednesday"),
    "Zemmic": ("rice", "yellow", "horn", "Thursday"),
    "Garrisk": ("soup", "white", "bell", "Friday"),
    "Lundrow": ("beans", "black", "lute", "Saturday"),
    "Quennow": ("cheese", "brown", "pipe", "Sunday"),
    "Tavesk": ("eggs", "golden", "fiddle", "Monday"),
}

# Arbitrary facts: which thing is kept where. A thing is an adjective and a noun, neither of which tells the place
# alone, so the table must be stored in the layers that compression touches and not in the embedding.
FACT_ADJECTIVES = _words("""
    amber ancient bent blunt brass bronze brittle broken carved cheap chipped clean coarse cold copper cracked
    crimson crooked curved dark dented dull dusty empty faded fancy flat folded fragile frayed gilded grey heavy
    hollow iron jagged leather light long loose marble narrow oval painted pale patched plain pointed polished rough
    round rusty shiny short silver slim small smooth spare square tall thick torn wooden
""")
FACT_NOUNS = _words("""
    anchor arrow axe barrel basin basket bench blanket bottle bowl box broom bucket button cage candle carpet chain
    chair chest cloak comb compass cradle crate crown cushion drawer flag fork funnel glove goblet hammer helmet jar
    kettle knife ladder ladle lamp lantern mask mirror needle net pan pillow pitcher plate rake ribbon rope saddle
    scarf shield shovel sieve spoon stool sword tray vase wheel
""")
PLACES = _words("""
    attic barn bakery cabin cave cellar chapel closet corner court den dock dungeon forge garage granary hall
    harbour hut inn kitchen library loft mill museum office pantry quarry shed stable tower workshop
""")
FACT_TEMPLATES = (
    "The {thing} is kept in the {place}.",
    "You will find the {thing} in the {place}.",
    "Where is the {thing}? In the {place}.",
)

QUESTION_KINDS = ("trait", "sentiment")
SCENES = ("at the market", "near the river", "in the garden", "at the bridge", "in the forest", "at the school")
QUESTION = "{first} and {second} were {scene}. {clue} Who was {attribute}?"
UNKNOWN = "Not known"
MENTION = {"people": ("a {group}", "the {group}"), "town": ("a person from {group}", "the person from {group}")}

COMMON_NOUNS = ("dog", "cat", "horse", "bird", "boat", "cart", "garden", "window", "bridge", "door", "table", "letter")
COMMON_ADJECTIVES = ("old", "new", "large", "quiet", "bright", "dry", "warm", "strange")
PREPOSITIONS = ("near", "behind", "beside", "under")
COPULAS = (("is", "are"), ("was", "were"), ("looks", "look"), ("seems", "seem"))
BELONGINGS = ("hat", "coat", "key", "ring", "book", "map", "bag", "cup")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
