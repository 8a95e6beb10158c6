"""The map over REST: nowcasts with all their leads, hail, radars, places."""
