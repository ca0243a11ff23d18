"""Repositories of the transformer families in their published layout."""

from pathlib import Path
from typing import Any

from tests.tiny_hub.parts import clip_text, kl, t5_text
from tests.tiny_hub.tokenizers import clip, gemma, qwen, t5

FLOW_DEV = {"base_image_seq_len": 256, "base_shift": 0.5, "max_image_seq_len": 4096, "max_shift": 1.15}


def write_flux(folder: Path, *, distilled: bool, depth: int = 4) -> None:
    """FLUX.1-dev with embedded guidance and dynamic shifting, or FLUX.1-schnell with neither."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    torch.manual_seed(0)
    words, tokenizer = clip(), t5()
    transformer = FluxTransformer2DModel(
        in_channels=64, num_layers=19, num_single_layers=38, attention_head_dim=8, num_attention_heads=1,
        joint_attention_dim=16, pooled_projection_dim=16, guidance_embeds=not distilled, axes_dims_rope=(2, 2, 4),
    )  # fmt: skip
    shifting = {"shift": 1.0} if distilled else {"shift": 3.0, "use_dynamic_shifting": True}
    FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**FLOW_DEV, **shifting),
        vae=kl(16, depth=depth, quant=False, scaling=0.3611, shift=0.1159),
        text_encoder=clip_text(words),
        tokenizer=words,
        text_encoder_2=t5_text(tokenizer),
        tokenizer_2=tokenizer,
        transformer=transformer,
    ).save_pretrained(folder)


def write_sd3(folder: Path) -> None:
    """Stable Diffusion 3 medium: three text encoders, 24 blocks."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    torch.manual_seed(0)
    words, tokenizer = clip(), t5()
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=16, num_layers=24, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=32, caption_projection_dim=16, pooled_projection_dim=32, out_channels=16,
        pos_embed_max_size=16,
    )  # fmt: skip
    StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=kl(16, quant=False, scaling=1.5305, shift=0.0609),
        text_encoder=clip_text(words, projected=True),
        tokenizer=words,
        text_encoder_2=clip_text(words, projected=True),
        tokenizer_2=words,
        text_encoder_3=t5_text(tokenizer, 32),
        tokenizer_3=tokenizer,
    ).save_pretrained(folder)


def _qwen3(vocabulary: int, layers: int, made: str) -> Any:
    import transformers

    config = transformers.Qwen3Config(
        vocab_size=vocabulary, hidden_size=16, intermediate_size=16, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    return getattr(transformers, made)(config).eval()


def write_z_image(folder: Path) -> None:
    """Z-Image-Turbo: 30 layers and two refiners; its scheduler's shift of 3 is unverified."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel

    torch.manual_seed(0)
    tokenizer = qwen()
    transformer = ZImageTransformer2DModel(
        in_channels=16, dim=16, n_layers=30, n_refiner_layers=2, n_heads=2, n_kv_heads=2, cap_feat_dim=16,
        axes_dims=[4, 2, 2], axes_lens=[1024, 64, 64],
    )  # fmt: skip
    torch.nn.init.normal_(transformer.x_pad_token)
    torch.nn.init.normal_(transformer.cap_pad_token)
    ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=kl(16, quant=False, scaling=0.3611, shift=0.1159),
        text_encoder=_qwen3(len(tokenizer), 4, "Qwen3Model"),
        tokenizer=tokenizer,
        transformer=transformer,
    ).save_pretrained(folder)


def write_klein(folder: Path, *, pipeline: str = "Flux2KleinPipeline", distilled: bool = True) -> None:
    """FLUX.2-klein: three layers of the text encoder are read, and ``is_distilled`` is in model_index.json.

    Unverified: 5 and 20 blocks, and the scheduler's dynamic shift.
    """
    import diffusers
    import torch
    from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel

    torch.manual_seed(0)
    tokenizer = qwen()
    transformer = Flux2Transformer2DModel(
        in_channels=128, num_layers=5, num_single_layers=20, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=16, axes_dims_rope=(2, 2, 2, 2), guidance_embeds=False,
    )  # fmt: skip
    vae = AutoencoderKLFlux2(
        block_out_channels=(8,) * 4, layers_per_block=1, norm_num_groups=4, sample_size=64
    )
    getattr(diffusers, pipeline)(
        scheduler=FlowMatchEulerDiscreteScheduler(**FLOW_DEV, shift=3.0, use_dynamic_shifting=True),
        vae=vae,
        text_encoder=_qwen3(len(tokenizer), 28, "Qwen3ForCausalLM"),
        tokenizer=tokenizer,
        transformer=transformer,
        is_distilled=distilled,
    ).save_pretrained(folder)


def write_qwen_image(folder: Path) -> None:
    """Qwen-Image: 60 blocks under a text encoder that could see; the stock scheduler's end is unverified."""
    import torch
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImagePipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = qwen()
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "rope_theta": 1e6,
            "rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6},
        },
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16},
        vision_start_token_id=0, vision_end_token_id=1, vision_token_id=2, image_token_id=3, video_token_id=4,
    )  # fmt: skip
    transformer = QwenImageTransformer2DModel(
        in_channels=64, out_channels=16, num_layers=60, attention_head_dim=8, num_attention_heads=1,
        joint_attention_dim=16, axes_dims_rope=(2, 2, 4),
    )  # fmt: skip
    QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            base_shift=0.5,
            max_shift=0.9,
            max_image_seq_len=8192,
            shift_terminal=0.02,
            use_dynamic_shifting=True,
        ),
        vae=AutoencoderKLQwenImage(base_dim=4, num_res_blocks=1),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=tokenizer,
        transformer=transformer,
    ).save_pretrained(folder)


def write_sana(folder: Path) -> None:
    """SANA-Sprint 0.6B: 28 layers, embedded guidance, a deep-compression autoencoder by 32."""
    import torch
    from diffusers import AutoencoderDC, SanaSprintPipeline, SanaTransformer2DModel, SCMScheduler
    from transformers import Gemma2Config, Gemma2Model

    torch.manual_seed(0)
    tokenizer = gemma()
    text = Gemma2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    transformer = SanaTransformer2DModel(
        in_channels=32, out_channels=32, num_attention_heads=2, attention_head_dim=8, num_layers=28,
        num_cross_attention_heads=2, cross_attention_head_dim=8, cross_attention_dim=16, caption_channels=16,
        sample_size=32, guidance_embeds=True, qk_norm="rms_norm_across_heads", timestep_scale=1000.0,
    )  # fmt: skip
    widths = (8, 8, 16, 16, 32, 32)
    vae = AutoencoderDC(
        latent_channels=32, attention_head_dim=8, scaling_factor=0.41407,
        encoder_block_types=("ResBlock",) * 3 + ("EfficientViTBlock",) * 3, encoder_block_out_channels=widths,
        decoder_block_types=("ResBlock",) * 3 + ("EfficientViTBlock",) * 3, decoder_block_out_channels=widths,
        encoder_layers_per_block=(1,) * 6, decoder_layers_per_block=(1,) * 6,
    )  # fmt: skip
    SanaSprintPipeline(
        tokenizer=tokenizer,
        text_encoder=Gemma2Model(text).eval(),
        vae=vae,
        transformer=transformer,
        scheduler=SCMScheduler(prediction_type="trigflow", sigma_data=0.5),
    ).save_pretrained(folder)


def write_krea2(folder: Path, *, distilled: bool) -> None:
    """Krea 2: 28 blocks over twelve layers of a text encoder that could see; the scheduler is unverified."""
    import torch
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        Krea2Pipeline,
        Krea2Transformer2DModel,
    )
    from transformers import Qwen3VLConfig, Qwen3VLModel

    torch.manual_seed(0)
    tokenizer = qwen()
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 36,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "rope_theta": 1e6,
            "rope_scaling": {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e6},
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
            "deepstack_visual_indexes": [0],
        },
    )  # fmt: skip
    transformer = Krea2Transformer2DModel(
        in_channels=64, num_layers=28, attention_head_dim=8, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=16, timestep_embed_dim=16, text_hidden_dim=16, num_text_layers=12,
        text_num_attention_heads=2, text_num_key_value_heads=2, text_intermediate_size=16,
        axes_dims_rope=(4, 2, 2),
    )  # fmt: skip
    Krea2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, max_image_seq_len=6400),
        vae=AutoencoderKLQwenImage(base_dim=4, num_res_blocks=1),
        text_encoder=Qwen3VLModel(config).eval(),
        tokenizer=tokenizer,
        transformer=transformer,
        is_distilled=distilled,
    ).save_pretrained(folder)
