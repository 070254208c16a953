"""A tokenizer.json of few words. It asks to cut after 3 tokens and to fill up to 9."""

from stackgan.files import write_json


def write_tokenizer(
        path,
        words,        # the first four: [PAD], [CLS], [SEP], [UNK]
):
    numbers = {word: number for number, word in enumerate(words)}
    special = {'[CLS]': {'id': '[CLS]', 'ids': [1], 'tokens': ['[CLS]']},
               '[SEP]': {'id': '[SEP]', 'ids': [2], 'tokens': ['[SEP]']}}
    write_json(str(path), {
        'version': '1.0', 'truncation': {'direction': 'Right', 'max_length': 3, 'stride': 0,
                                         'strategy': 'LongestFirst'},
        'padding': {'strategy': {'Fixed': 9}, 'direction': 'Right', 'pad_to_multiple_of': None,
                    'pad_id': 0, 'pad_type_id': 0, 'pad_token': '[PAD]'},
        'added_tokens': [], 'normalizer': {'type': 'Lowercase'},
        'pre_tokenizer': {'type': 'Whitespace'}, 'decoder': None,
        'post_processor': {
            'type': 'TemplateProcessing', 'special_tokens': special,
            'single': [{'SpecialToken': {'id': '[CLS]', 'type_id': 0}},
                       {'Sequence': {'id': 'A', 'type_id': 0}},
                       {'SpecialToken': {'id': '[SEP]', 'type_id': 0}}],
            'pair': [{'Sequence': {'id': 'A', 'type_id': 0}}]},
        'model': {'type': 'WordLevel', 'vocab': numbers, 'unk_token': '[UNK]'}})
