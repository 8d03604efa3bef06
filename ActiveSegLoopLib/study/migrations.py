"""The tables of the study's database, as the steps that lead to them.

A step never changes once it was released: a new version is one more step at the end.
"""

VERSION_1 = (
    """
    CREATE TABLE study (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        sides_matter INTEGER NOT NULL,
        created TEXT NOT NULL,
        current_round INTEGER REFERENCES rounds (number)
    )
    """,
    """
    CREATE TABLE labels (
        id TEXT PRIMARY KEY,
        position INTEGER NOT NULL UNIQUE,
        value INTEGER NOT NULL UNIQUE CHECK (value BETWEEN 1 AND 255),
        name TEXT NOT NULL,
        red REAL NOT NULL,
        green REAL NOT NULL,
        blue REAL NOT NULL,
        terminology TEXT
    )
    """,
    # A case's images, grid and role never change; only the places where the images lie do.
    """
    CREATE TABLE cases (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        role TEXT NOT NULL CHECK (role IN ('pool', 'validation', 'test')),
        patient TEXT NOT NULL,
        geometry TEXT NOT NULL,
        fingerprint TEXT NOT NULL UNIQUE,
        added TEXT NOT NULL
    )
    """,
    "CREATE INDEX cases_patient ON cases (patient)",
    # stamp: the state of the files (times and sizes) for which the fingerprint was last computed.
    """
    CREATE TABLE channels (
        case_id INTEGER NOT NULL REFERENCES cases (id),
        position INTEGER NOT NULL,
        relative_path TEXT,
        absolute_path TEXT NOT NULL,
        series TEXT,
        size INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        stamp TEXT,
        PRIMARY KEY (case_id, position)
    )
    """,
    """
    CREATE TABLE revisions (
        id INTEGER PRIMARY KEY,
        case_id INTEGER NOT NULL REFERENCES cases (id),
        number INTEGER NOT NULL,
        parent INTEGER,
        origin TEXT NOT NULL CHECK (origin IN ('manual', 'model', 'corrected')),
        model_round INTEGER REFERENCES rounds (number),
        annotator TEXT,
        annotation TEXT NOT NULL,
        annotations TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        created TEXT NOT NULL,
        UNIQUE (case_id, number),
        FOREIGN KEY (case_id, parent) REFERENCES revisions (case_id, number)
    )
    """,
    """
    CREATE TABLE revision_labels (
        revision_id INTEGER NOT NULL REFERENCES revisions (id),
        label TEXT NOT NULL REFERENCES labels (id),
        voxels INTEGER NOT NULL,
        seconds REAL,
        PRIMARY KEY (revision_id, label)
    )
    """,
    """
    CREATE TABLE rounds (
        number INTEGER PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('running', 'interrupted', 'finished', 'failed')),
        preset TEXT NOT NULL,
        settings TEXT NOT NULL,
        seed INTEGER NOT NULL,
        created TEXT NOT NULL,
        ended TEXT,
        metrics TEXT,
        versions TEXT,
        reason TEXT
    )
    """,
    """
    CREATE TABLE round_revisions (
        round INTEGER NOT NULL REFERENCES rounds (number),
        position INTEGER NOT NULL,
        revision_id INTEGER NOT NULL REFERENCES revisions (id),
        use TEXT NOT NULL CHECK (use IN ('training', 'validation')),
        PRIMARY KEY (round, position)
    )
    """,
)

# Second labelings of what a revision annotates; seconds: JSON, by label id.
VERSION_2 = (
    """
    CREATE TABLE repeats (
        id INTEGER PRIMARY KEY,
        revision_id INTEGER NOT NULL REFERENCES revisions (id),
        number INTEGER NOT NULL,
        annotator TEXT,
        annotation TEXT NOT NULL,
        seconds TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        created TEXT NOT NULL,
        UNIQUE (revision_id, number)
    )
    """,
)

# What was proposed to label next. slice: the index in the plane, NULL (both) for a volume.
VERSION_3 = (
    """
    CREATE TABLE proposals (
        id INTEGER PRIMARY KEY,
        batch INTEGER NOT NULL,
        position INTEGER NOT NULL,
        case_id INTEGER NOT NULL REFERENCES cases (id),
        unit TEXT NOT NULL CHECK (unit IN ('slice', 'volume')),
        plane TEXT,
        slice INTEGER,
        label TEXT REFERENCES labels (id),
        score REAL NOT NULL,
        reason TEXT NOT NULL,
        strategy TEXT NOT NULL,
        round INTEGER REFERENCES rounds (number),
        state TEXT NOT NULL CHECK (state IN ('open', 'done', 'skipped', 'flagged')),
        note TEXT NOT NULL,
        created TEXT NOT NULL,
        UNIQUE (batch, position)
    )
    """,
)

# excluded: the case takes no part for now, and nothing of it is forgotten.
VERSION_4 = ("ALTER TABLE cases ADD COLUMN excluded INTEGER NOT NULL DEFAULT 0",)

# voxels: see voxel_digest; NULL for images that an earlier version added.
VERSION_5 = ("ALTER TABLE channels ADD COLUMN voxels TEXT",)

MIGRATIONS = (VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5)
