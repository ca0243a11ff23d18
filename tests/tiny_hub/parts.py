"""Text encoders and autoencoders of the published classes, narrow and seeded."""

from typing import Any


def clip_text(tokenizer: Any, *, width: int = 16, layers: int = 2, projected: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    made = CLIPTextModelWithProjection if projected else CLIPTextModel
    return made(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            projection_dim=width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).eval()


def t5_text(tokenizer: Any, width: int = 16) -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer), d_model=width, d_ff=32, d_kv=8, num_heads=2, num_layers=2,
            feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip


def kl(
    channels: int, *, depth: int = 4, quant: bool = True, scaling: float = 0.18215, shift: Any = None
) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8,) * depth,
        down_block_types=("DownEncoderBlock2D",) * depth,
        up_block_types=("UpDecoderBlock2D",) * depth,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=quant,
        use_post_quant_conv=quant,
    )
