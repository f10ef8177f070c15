"""What happened, to take away: tables, Parquet and traces."""
