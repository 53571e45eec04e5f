"""What is kept and shown of a run: job rows, the result document, Chrome traces, Gantt charts."""
