"""Writers that are frozen vision-language models: what they are shown, what they are asked, and what is kept."""
