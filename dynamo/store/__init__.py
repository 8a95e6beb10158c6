"""What must survive a crash: tables, migrations, and the opening of SQLite or PostgreSQL."""
