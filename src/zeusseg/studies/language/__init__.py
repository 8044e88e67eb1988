"""The language test: do a model's masks follow the words, whoever made the model?"""
